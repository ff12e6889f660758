# test: oracle=podman
FROM base
RUN --mount=type=bind,target=/c cat /c/a.txt >/x
RUN --mount=type=bind,source=dir,target=/c,rw touch /c/new && ls /c >/y
