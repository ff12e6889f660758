FROM base
RUN echo 0 >/x
FROM base
COPY --from=0 /x /y
