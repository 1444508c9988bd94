"""What learns: causal language models, their tokenizers, the training loop, what they are fed."""
