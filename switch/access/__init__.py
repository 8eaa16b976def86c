"""Who works at the back office: people, what each may do, and the tokens that prove who asks."""
