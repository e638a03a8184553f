"""The engines that build features and training rows."""
