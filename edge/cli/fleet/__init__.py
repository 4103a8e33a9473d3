"""`mammo-edge fleet`: what all devices at a broker say of themselves."""
