"""Who may do what: keys, share links, logins, and what guessing and hurrying cost. Knows requests, but no sockets."""
