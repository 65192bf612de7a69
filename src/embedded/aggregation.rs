//! Requests for groups that an APIService serves are passed on, as kube-apiserver's aggregator does.
