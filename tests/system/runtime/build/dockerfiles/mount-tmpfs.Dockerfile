# test: oracle=podman
FROM base
RUN --mount=type=tmpfs,target=/t touch /t/x && ls /t >/x
