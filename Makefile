# One command a habit. `make demo` and `make test` need nothing but a Python with pip: where it is not
# one that the packages are for (3.11, 3.12), uv brings another (envs/install.py).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/requirements.lock
CUDA_LOCK := envs/cuda124.lock
BENCH_VENV := .venv-bench
BENCH_LOCK := envs/bench.lock
TRAINERS_VENV := .venv-trainers
TRAINERS_LOCK := envs/trainers.lock
SERVICES_VENV := .venv-services
SERVICES_LOCK := envs/services.lock
SNAKEMAKE := $(BIN)/snakemake
# Once: the first job would take ten seconds longer.
COMPILE = PYTHONPATH=scripts $(BIN)/python -c "import ferrari.matting.closed_form, ferrari.matting.foreground"
CORES ?= $(shell $(PYTHON) scripts/ferrari/common/usable_cores.py)
FERRARI_SHARED := $(or $(FERRARI_SHARED),../shared)
export FERRARI_SHARED

# A set is named by WORK, by a settings file outside the checkout that is a set's my.yaml or lies
# beside one, or is here.
OUTSIDE = $(filter-out $(CURDIR)/%,$(abspath $(CONFIG)))
BESIDE = $(foreach file,$(OUTSIDE),$(wildcard $(dir $(file))my.yaml))
SET = $(or $(WORK),$(patsubst %/my.yaml,%,$(firstword $(filter %/my.yaml,$(OUTSIDE)) $(BESIDE))),.)

# make takes any word with a `=` for a variable: one that no target of this call knows ends it. What
# another make hands down was typed for that one.
ifeq ($(MAKELEVEL),0)
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
ifneq ($(GIVEN),)
UNKNOWN := $(shell $(PYTHON) scripts/tools/make_variables.py $(foreach name,$(GIVEN),'$(subst ',,$(name))') -- $(MAKECMDGOALS) 2>/dev/null)
ifneq ($(UNKNOWN),)
$(error $(UNKNOWN))
endif
endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup setup-gpu image weights doctor smoke new plan run demo demo-clean merge test test-slow test-real test-gpu test-slurm measure-slurm test-s3 test-kubernetes test-trainers train-smoke review-demo fuzz chaos wild verify tidy dashboards review dashboard trace decide lint-package real check-gpu outcomes bench mattes identity lint format lock clean

help: ## list the commands
	@echo "For your sets"
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^/  /; s/:.*## /\t/' | expand -t 16
	@echo; echo "For work on the pipeline itself"
	@grep -hE '^[a-z0-9-]+:.*##: ' $(MAKEFILE_LIST) | sed -E 's/^/  /; s/:.*##: /\t/' | expand -t 16

setup: $(VENV)/.ready ## set up .venv from the lock

$(VENV)/.ready: $(LOCK) $(CUDA_LOCK) envs/install.py envs/derive_cuda_lock.py
	@$(PYTHON) envs/install.py $(VENV) $(LOCK)
	@$(COMPILE)
	@touch $@

setup-gpu: ## set up .venv for an NVIDIA card: the same versions, with torch and ONNX Runtime for CUDA 12.4; ELSEWHERE=1: the cards are in other machines
	@$(PYTHON) envs/install.py $(VENV) $(LOCK) --cuda $(CUDA_LOCK) $(if $(ELSEWHERE),--elsewhere)
	@$(COMPILE)
	@touch $(VENV)/.ready

image: ## the Docker image of this commit; TARGET=dev: with the tests, WEIGHTS=1: with the default networks' weights
	docker build --target $(or $(TARGET),lean) --build-arg WEIGHTS=$(or $(WEIGHTS),0) \
	  --build-arg COMMIT="$$(git describe --always --dirty --abbrev=40 --exclude '*')" \
	  --tag ferrari-pipeline$(if $(filter dev,$(TARGET)),:dev) .

weights: $(VENV)/.ready ## fetch the networks' weights for the set in WORK into its cache, ahead of a run; settings as for plan
	@$(BIN)/python scripts/tools/get_weights.py --work "$(SET)" $(if $(CONFIG),--config $(CONFIG))

doctor: $(VENV)/.ready ## what this machine has, what a run of the set in WORK would use of it, what to install to get more; settings as for plan
	@$(BIN)/python scripts/tools/doctor.py --work "$(SET)" $(if $(CONFIG),--config $(CONFIG))

smoke: $(VENV)/.ready ## one short clip (dataset/sample_test.mp4, if there) through all stages, into WORK/smoke/; settings as for plan
	@$(BIN)/python scripts/tools/smoke.py --work "$(SET)" --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

demo: $(VENV)/.ready ## synthetic clips through the whole pipeline, under demo/
	@mkdir -p demo
	@test -f demo/truth.json -a -d demo/references || $(BIN)/python -m tests.generator demo/dataset/00_raw_videos --pictures demo --truth demo/truth.json
	@$(BIN)/python scripts/tools/plan_run.py --run --work demo --cores $(CORES) --config config/demo.yaml

demo-clean: ## remove the demo's clips, dataset and reports
	rm -rf demo

unexport CLIPS REFERENCES TOKEN CLASS
new: export NEW_CLIPS := $(value CLIPS)
new: export NEW_REFERENCES := $(value REFERENCES)
new: export NEW_TOKEN := $(value TOKEN)
new: export NEW_CLASS := $(value CLASS)
new: $(VENV)/.ready ## begin a set of your own: make new WORK=folder CLIPS=folder (REFERENCES=folder TOKEN=ohwx CLASS=man) writes WORK/my.yaml
	@$(BIN)/python scripts/tools/new_set.py "$(WORK)" --clips "$$NEW_CLIPS" $(if $(value REFERENCES),--references "$$NEW_REFERENCES") $(if $(value TOKEN),--token "$$NEW_TOKEN") $(if $(value CLASS),--class "$$NEW_CLASS")

plan: $(VENV)/.ready ## what a run of the set in WORK would do, about how long and how much; settings: WORK/my.yaml, CONFIG on top
	@$(BIN)/python scripts/tools/plan_run.py --work "$(SET)" --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

run: $(VENV)/.ready ## run the set in WORK; settings as for plan
	@$(BIN)/python scripts/tools/plan_run.py --run --work "$(SET)" --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

merge: $(VENV)/.ready ## bring shards that were run in the folders FROM together in WORK, where a run then makes the rest
	@$(BIN)/python scripts/tools/merge_shards.py $(FROM) --into "$(or $(WORK),.)"

# Tests wait for browsers, for jobs and for limits: one process more than there are cores, of which
# the last is busy meanwhile. No more than four, for memory.
TESTERS ?= $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))

# pytest-timeout ends a test by an exception, which code in C may never let through. After that the
# run ends, and every thread's traceback says where it stood. Bytecode is kept whatever the shell
# says: else each process compiles all tests, and they are most of what it does before the first.
test: $(VENV)/.ready ##: the tests (minutes)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m "not slow and not real and not gpu and not slurm and not s3 and not kubernetes and not trainers" \
	  -n $(TESTERS) --dist loadfile --no-loadscope-reorder \
	  -o faulthandler_timeout=1000 -o faulthandler_exit_on_timeout=true

test-slow: $(VENV)/.ready ##: the tests that take longer
	$(BIN)/python -m pytest -m slow

test-real: $(VENV)/.ready ##: the tests on real footage and weights (FERRARI_SHARED)
	$(BIN)/python -m pytest -m real

test-gpu: $(VENV)/.ready ##: the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest -m gpu

test-slurm: $(VENV)/.ready ##: the tests on a SLURM of two nodes, brought up here (needs slurm-wlm and munge)
	$(BIN)/python -m pytest -m slurm -rs

measure-slurm: $(VENV)/.ready ##: what the way through that SLURM costs: N clips (3) on one machine, in batches, and with a job for each job
	@$(BIN)/python -m tests.slurm.measure $(or $(N),3)

# Where the packages cannot be had the tests skip, and say so.
test-s3: $(VENV)/.ready ##: the tests on an S3 server, brought up here (moto)
	-@$(SERVICES)
	$(BIN)/python -m pytest -m s3 -rs

test-kubernetes: $(VENV)/.ready ##: the manifests held to the schema of Kubernetes' API
	-@$(SERVICES)
	$(BIN)/python -m pytest -m kubernetes -rs

SERVICES = test $(SERVICES_VENV)/.ready -nt $(SERVICES_LOCK) || { $(PYTHON) envs/install.py $(SERVICES_VENV) $(SERVICES_LOCK) && touch $(SERVICES_VENV)/.ready; }

test-trainers: $(VENV)/.ready $(TRAINERS_VENV)/.ready ##: each package in its trainer's own loader (FERRARI_TRAINERS: checkouts)
	$(BIN)/python -m pytest -m trainers -rs

train-smoke: $(VENV)/.ready $(TRAINERS_VENV)/.ready ##: a LoRA trained with masked loss on the kohya package in PACKAGE (default: a small one)
	@$(BIN)/python -m tests.train_smoke $(if $(PACKAGE),"$(PACKAGE)")

$(TRAINERS_VENV)/.ready: $(TRAINERS_LOCK) | $(VENV)/.ready
	@$(PYTHON) envs/install.py $(TRAINERS_VENV) $(TRAINERS_LOCK)
	@touch $@

chaos: $(VENV)/.ready ##: the small workflow killed N times (50) at random instants, and resumed
	$(BIN)/python -m tests.chaos --kills $(or $(N),50) --seed $(or $(SEED),1)

review-demo: $(VENV)/.ready ##: a whole review by keys alone, N decisions of each kind (10), run, verified and taken back; WORK=review-demo
	@$(BIN)/python -m tests.review_demo --work "$(or $(WORK),review-demo)" --number $(or $(N),10) --cores $(CORES)

fuzz: $(VENV)/.ready ##: N damaged clips (default 500) of SEED through stages 0 and 1
	$(BIN)/python -m tests.fuzz $(or $(N),500) --seed $(or $(SEED),0) --jobs $(CORES)

wild: $(VENV)/.ready ##: clips of the folders DIR held against what ffmpeg makes of them; ONLY=name, ALL=1, WORK=wild
	@$(if $(DIR),,echo 'Name the folders that hold the clips: make wild DIR="folder other_folder"' >&2; exit 2;) \
	  PYTHONPATH=scripts $(BIN)/python -m tests.wild $(DIR) --work "$(or $(WORK),wild)" --jobs $(CORES) \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(ALL),--all)

verify: $(VENV)/.ready ## prove the dataset in WORK (default: here) to the last bit; CONFIG: other settings than its last run's
	@$(BIN)/python scripts/tools/verify.py --work "$(SET)" --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

SERVE = $(BIN)/python scripts/tools/serve.py $(1) --work "$(SET)" --cores $(CORES) \
	  $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port $(PORT)) $(if $(CONFIG),--config $(CONFIG))

review: export SERVE_WHO := $(value WHO)
review: $(VENV)/.ready ## the page where you look and decide, in a browser, until Ctrl-C; WORK, CONFIG as for verify; HOST, PORT, WHO
	@$(call SERVE,review)

dashboard: export SERVE_WHO := $(value WHO)
dashboard: $(VENV)/.ready ## a run as it goes, the reports and the review page, in a browser, until Ctrl-C; options as for review
	@$(call SERVE,dashboard)

tidy: $(VENV)/.ready ## what belongs to no clip or format any more, with sizes; YES=1 deletes it, where most clips, or all of a folder, are gone at once with ALL=1; WORK, CONFIG as for verify
	@$(BIN)/python scripts/tools/tidy.py --work "$(SET)" $(if $(CONFIG),--config $(CONFIG)) $(if $(YES),--yes) $(if $(ALL),--all)

dashboards: $(VENV)/.ready ## bring the reports of the set in WORK up to date, and say where they lie; CONFIG as for verify
	@$(BIN)/python scripts/tools/dashboards.py --work "$(SET)" --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

unexport ITEM DROP KEEP CAPTION TEXT DUPLICATE OF MASK FILE SUBJECT NOT_SUBJECT SPLIT AT MERGE WITH
unexport UNDO REDO WHY WHO NOTE
trace: export ASKED := $(value ITEM)
trace: $(VENV)/.ready ## what led to ITEM (an id or a file's name), and what became of it; ALL=1: each step with settings and hashes; WORK, CONFIG as for verify
	@$(BIN)/python scripts/tools/trace_item.py --work "$(SET)" $(if $(CONFIG),--config $(CONFIG)) \
	  $(if $(ALL),--all) $(if $(JSON),--json) -- "$$ASKED"

decide: export DECIDE_DROP := $(value DROP)
decide: export DECIDE_KEEP := $(value KEEP)
decide: export DECIDE_CAPTION := $(value CAPTION)
decide: export DECIDE_TEXT := $(value TEXT)
decide: export DECIDE_DUPLICATE := $(value DUPLICATE)
decide: export DECIDE_OF := $(value OF)
decide: export DECIDE_MASK := $(value MASK)
decide: export DECIDE_FILE := $(value FILE)
decide: export DECIDE_SUBJECT := $(value SUBJECT)
decide: export DECIDE_NOT_SUBJECT := $(value NOT_SUBJECT)
decide: export DECIDE_SPLIT := $(value SPLIT)
decide: export DECIDE_AT := $(value AT)
decide: export DECIDE_MERGE := $(value MERGE)
decide: export DECIDE_WITH := $(value WITH)
decide: export DECIDE_UNDO := $(value UNDO)
decide: export DECIDE_REDO := $(value REDO)
decide: export DECIDE_WHY := $(value WHY)
decide: export DECIDE_WHO := $(value WHO)
decide: export DECIDE_NOTE := $(value NOTE)
decide: $(VENV)/.ready ## DROP=id, KEEP=id, CAPTION=id TEXT="...", DUPLICATE=id OF=id, MASK=crop FILE=png, SUBJECT=track, NOT_SUBJECT=track, SPLIT=track AT=frame, MERGE=track WITH=track, UNDO=id or last, REDO; WHY, WHO; none of them: what is in force
	@$(BIN)/python scripts/tools/decide.py --work "$(SET)" $(if $(CONFIG),--config $(CONFIG)) \
	  $(if $(SCOPE),--scope $(SCOPE))

lint-package: $(VENV)/.ready ## what trainers would do in silence with the folder DIR, ours or anybody's; TRAINER=kohya, ALL=1, JSON=1
	@$(BIN)/python scripts/tools/lint_package.py "$(DIR)" $(if $(TRAINER),--trainer $(TRAINER)) \
	  $(if $(ALL),--all) $(if $(JSON),--json)

real: $(VENV)/.ready ##: the pipeline on the real footage under FERRARI_SHARED, into real/
	$(BIN)/python scripts/tools/link_real_footage.py $(FERRARI_SHARED) real
	cd real && ../$(SNAKEMAKE) --snakefile ../Snakefile --configfile real.yaml --cores $(CORES) --resources gpu=1 --quiet rules host

outcomes: $(VENV)/.ready ##: each kind of clip with a fake NVIDIA card in each state: does it end as without one?
	$(BIN)/python -m tests.fake_nvidia.outcomes

check-gpu: $(VENV)/.ready ## ten minutes on a card, for the set in WORK: does it give what the CPU gives, how fast, how busy; goes on where it was; settings as for plan
	@$(BIN)/python -m bench.gpu_check --set "$(SET)" $(if $(CONFIG),--config $(CONFIG)) $(CHECK)

bench: $(VENV)/.ready $(BENCH_VENV)/.ready ##: against what one would chain by hand (an hour or two); BENCH="--quick --only masks"
	$(BIN)/python -m bench $(BENCH)

mattes: $(VENV)/.ready $(BENCH_VENV)/.ready ##: how good the cut-outs are, beside rembg's from the same network; MATTES="--pictures 4"
	$(BIN)/python -m bench.mattes $(MATTES)

identity: $(VENV)/.ready ##: who is told to be the subject, and who is not: real people and clips composed of them; IDENTITY="--quick" or "--cast FOLDER"
	$(BIN)/python -m bench.identity $(IDENTITY)

$(BENCH_VENV)/.ready: $(BENCH_LOCK) | $(VENV)/.ready
	@$(PYTHON) envs/install.py $(BENCH_VENV) $(BENCH_LOCK)
	@touch $@

lint: $(VENV)/.ready ##: ruff, import-linter, mypy, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=scripts $(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/mypy --config-file bench/mypy.ini bench
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m tests.lint_workflow

format: $(VENV)/.ready ##: format Python and the rules
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: ##: resolve the lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra slurm --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o $(LOCK)
	uv pip compile envs/bench.in --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o $(BENCH_LOCK)
	uv pip compile envs/services.in --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o $(SERVICES_LOCK)
	uv pip compile envs/trainers.in --override envs/trainers.overrides --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header -o $(TRAINERS_LOCK)

clean: ##: remove caches, the fetched weights among them (hundreds of MB: the next run fetches them again); datasets stay
	@test ! -d cache || du -sh cache
	rm -rf .snakemake .pytest_cache .ruff_cache .mypy_cache cache
