"""The commands, one file each: parse, call one plain function, print."""
