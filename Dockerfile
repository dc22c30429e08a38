# Grades where there is no Linux: macOS, Windows. book/assigning.md has the commands.
FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap git && rm -rf /var/lib/apt/lists/*
# Of PyTorch the CPU build: grading needs no card, and PyPI's build brings gigabytes of CUDA along.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE LICENSE-DATA.md /package/
COPY src /package/src
RUN pip install --no-cache-dir /package
WORKDIR /work
ENTRYPOINT ["dropout-lessons"]
