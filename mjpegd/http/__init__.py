"""The HTTP side: `server` and `connection` hold the sockets, `routes` the table, the rest what each row answers."""
