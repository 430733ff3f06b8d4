"""Facts and arms as sparse features under Vowpal Wabbit's hash."""
