"""`python -m admin`: the same as the installed `meetingpool`."""

from admin.app import main

if __name__ == "__main__":
    main()
