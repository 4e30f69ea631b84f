"""The same with an interpreter that looks for nothing beside the script: the program names its folder itself."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import prefork

    prefork.main()
