FROM base
CMD ["one"]
CMD two three
