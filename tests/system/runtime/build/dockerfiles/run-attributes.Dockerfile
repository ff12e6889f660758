FROM base
RUN echo x >/x && chmod 4755 /x && chown 3:4 /x && ln /x /y && ln -s /x /z && mkfifo /p
RUN mkdir -m 1777 /d && mknod /d/null c 1 3
