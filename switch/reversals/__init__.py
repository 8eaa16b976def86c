"""The store-and-forward queue for its operators: what issuers are owed, sent at once, or given up."""
