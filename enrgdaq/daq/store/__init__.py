"""What stores share: settings, messages, the batch-flush-commit loop, files that survive."""
