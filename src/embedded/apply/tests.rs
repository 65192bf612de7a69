//! Field ownership, held against what a real kube-apiserver recorded.
