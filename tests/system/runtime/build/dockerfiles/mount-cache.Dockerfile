# test: oracle=podman
FROM base
RUN --mount=type=cache,target=/k,uid=5,gid=6,mode=0700 stat -c %u:%g:%a /k >/x && touch /k/f
