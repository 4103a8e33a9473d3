"""The measurements on patients never trained on."""
