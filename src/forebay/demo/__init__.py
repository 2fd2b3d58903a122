"""A shop with clients, to see Forebay at work: a real GraphQL service and real traffic."""
