"""What the bytes of a native file say of it, whatever its name is: ELF, PE or Mach-O."""
