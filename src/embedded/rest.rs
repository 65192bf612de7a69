//! The verbs over HTTP: paths, media types, lists in pages, watches.
