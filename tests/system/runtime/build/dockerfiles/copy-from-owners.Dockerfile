FROM base AS one
RUN echo x >/x && chown 5:6 /x && chmod 4711 /x && mkdir -m 700 /d && touch /d/f && chown 7:7 /d
FROM base
COPY --from=one /x /d /copied/
COPY --from=one /d /dir
