"""Which arms each customer may have, and what took the others out: rules, contact rules, consent, ownership."""
