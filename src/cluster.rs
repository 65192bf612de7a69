//! destinations: clients, discovery, live cache, apply and delete
