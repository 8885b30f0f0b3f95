"""How far organisations lie apart beyond luck, estimated from rows, and whether predictions came true."""
