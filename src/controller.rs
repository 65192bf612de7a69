//! queue, leadership, reconcile of projects and applications
