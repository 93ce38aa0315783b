"""How folders are opened and looked at, and what the system says about them.

`directory.py` opens folders without following links, and `links.py` those that links stand for,
where `--follow-links` asks for it. `looking.py` looks at many files at once. `folding.py` finds out
which names the file system treats as one, and `translation.py` turns the system's errors into ours.

Nothing here knows the state folder, nor which files a run has made.
"""
