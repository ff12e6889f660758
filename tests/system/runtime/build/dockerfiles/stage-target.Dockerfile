# test: target=one
FROM base AS one
RUN echo 1 >/1
FROM base AS two
RUN exit 1
