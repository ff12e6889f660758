FROM base
HEALTHCHECK --interval=30s --timeout=1m --start-period=5s --retries=4 CMD test -e /x
