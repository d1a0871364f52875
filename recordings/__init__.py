"""The room of the transfer worker, which will import finished recordings from the spool.

There is no worker yet, and nothing here touches a spool: archives that servers deliver stay where they are until there is one.
"""
