FROM base AS one
ARG A=1
RUN echo "$A" >/x
FROM base
ARG A
RUN echo "[$A]" >/y
COPY --from=one /x /x
