//! TLS, authentication, authorization, REST
