# test: oracle=podman
FROM base
RUN <<EOF
echo one >/x
echo two >>/x
EOF
