"""The train/test split of tickets: by text, by groups of near-duplicate texts, or as scikit-learn does it."""
