"""What a study is made of: kinds (a file each, found by name), trials, and the tables that gather their rows."""
