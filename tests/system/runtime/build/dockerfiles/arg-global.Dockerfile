ARG TAG=latest
ARG NAME=given
FROM base:$TAG
ARG NAME
ARG TAG
RUN echo "$NAME $TAG" >/x
