# test: oracle=podman
FROM base
COPY --chmod=600 a.txt /a
COPY --chmod=0751 dir /d
