"""The API of the retired Azure Personalizer, so that its clients work by changing an address and a key."""
