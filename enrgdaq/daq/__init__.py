"""What a physicist programs against: jobs, messages, topics, stores."""
