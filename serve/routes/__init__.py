"""The API's addresses, a file for each thing one can talk about; each file gives its operations for one replica."""
