# test: oracle=podman
FROM base AS one
RUN mkdir /d && echo x >/d/f
FROM base
RUN --mount=type=bind,from=one,source=/d,target=/m cat /m/f >/x
