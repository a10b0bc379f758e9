"""How pyoci is built, a step a module: setup.py starts commands.py's."""
