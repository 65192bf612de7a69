//! Who asks, and whether they may: certificates and tokens, impersonation, RBAC, reviews.
