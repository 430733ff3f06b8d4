"""What late rewards and rare models cost."""
