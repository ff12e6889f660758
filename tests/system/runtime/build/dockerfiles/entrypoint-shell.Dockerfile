FROM base
ENTRYPOINT exec echo hello
