"""The tree of the pipeline's exceptions. Each class stands in the module that raises it.

A class is named with when it is raised; then what to do.

FerrariError
  What a person mends. It ends the run, and its message says where and how.
  · SettingsError            settings break the schema or lead nowhere: correct those it names
  · CaptionSettingError      a caption setting gives no good caption: change the one named
  · OverridesError           captions/overrides.csv cannot be used: correct the line named
  · DecisionsError           review/decisions.csv cannot be used: correct the line named
    · UnfitRowError          a row was not added: it says why the next run would refuse it
  · MendedMaskError          a mended mask does not fit its crop: mend it at the crop's own pixels
  · ProposalError            no mask can be proposed for a crop: draw it, or drop the cut-out
  · ModelError               weights are missing, altered or unfit: fetch, pin or change them
    · UnpinnedPickleError    a pickle of weights without a pin: pin it if you trust its source
  · CaptionerError           the captioner does not load: install or name what the message says
  · FetchError               no source gave the weights: check the network, or put the file there
  · DeviceError              the device asked for is not there: set another, or `auto`
  · DeviceMemoryError        the GPU's memory ran out: free it, or use the CPU
  · SlotFolderError          the folder of the card's locks cannot be used: remove it
  · IsolationError           a model's process cannot live here: the limit to raise is named
  · KilledError              somebody killed a job's process: give it more memory, fewer jobs
  · RawFileChangedError      a raw file changed during the run: run again when it is at rest
  · BucketError              a bucket of raw clips cannot be asked: correct what the message names
  · RunningError             another run works on these files: wait for it, or end it
  · RunRefusedError          a server starts no run now: wait for the other one, or start it there
  · ClockError               the clock stands behind the set: set it right
  · NoClipsError             there is no clip to work on: correct raw_videos, or put clips there
  · LedgerError              a table is damaged: delete it, and the next run makes it anew
  · ReferencesError          reference pictures do not say who the subject is: change those named
  · PinError                 the clips that voted on the subject are gone: restore them, or unpin
  · ShardError               shard names no part, or other parts' work: set it, or make pins first
  · DuplicateIdError         two raw files got one id: rename one of them
  · PackageError             a package cannot be written as asked: change the setting named
  · QualityGateError         a report holds a FAIL: do what its checks say, or set qc.enforce: false
  · VerificationError        the dataset is not as written: restore or remake what is named
  · UnknownItemError         `make trace` knows no such item: ask for one of the nearest named
  · DecideError              `make decide` is asked for what cannot be: decide what it names
  · ServeError               `make review`, `make dashboard` cannot start: change what it names
  · RefusedRowError          a page sends a decision that cannot be: it says what would be right
  · OtherRowError            a page sends another decision under an id: it says both
  · DryRunError              Snakemake cannot say what the next run would do: see what it says
  · NothingToLintError       `make lint-package` sees no training folder: name its trainer
  · NewSetError              `make new` finds no clips, settings in its way, bad words: give others
  · TidyError                `make tidy` may not delete yet: do first what the message says
  · MergeError               `make merge` sees no shards of one set: name the shards' folders
  · SmokeError               `make smoke` has no clip or no place: give the one, free the other
  A fault of ours.
  · ChildError               a child process raised: report it, with the traceback it holds
  What becomes a row of a table or a choice of another way. Nobody has to do anything.
  · NoFileError              a raw file cannot be read: the clip is quarantined
  · ObjectError              an object of a bucket cannot be fetched: its row says so
    · GoneObjectError        an object was taken out of its bucket: its row says so
    · _TornError             a copy is not its object: it is fetched again
  · _StoreError              a store refuses a request: what it means is asked next
  · NotAVideoError           a raw file is a picture or a playlist: the clip is quarantined
  · ImageReadError           an image cannot be decoded: its row says so
    · PictureTooLargeError   a picture of the user's has too many pixels: it is left out
  · PngError                 bytes are no sound PNG: the image's row says so
  · EmbeddingError           a table's cell is no embedding: the report's check counts it
  · StampError               a table's stamp is missing or altered: `make verify` lists it
  · ModelDiedError           images ended the model's process: they are tried one by one
  · OverMemoryError          the model's process took too much memory: it is ended
  · KilledModelError         somebody killed the model's process: it is started again
  · _Died                    a device's process ended on a job's items: they are sent again
  · LostServerError          the fork server is gone: the job loads its own model
  · UnknownExportError       a YOLO export that OpenVINO is not run on: ultralytics runs it
  · DecoderUnavailableError  a decoder cannot take the clip here: the next one does
  · PlanChangedError         a clip is not as its plan took it: it is read with another plan
  · NotUnderstoodError       packets cannot be told apart: the clip is decoded in full

Most are a ValueError, a RuntimeError, a LookupError or an OSError as well. All of them pickle,
since they cross from one process to another.
"""

from __future__ import annotations

#: Before the sentence that says what to do, in a log: `jobs.error_advice` writes one, but where an
#: error's message has one of its own.
WHAT_TO_DO = "WHAT TO DO: "


class FerrariError(Exception):
    """The base of all; an exception without it that ends a job is a defect of the pipeline.

    A subclass whose `__init__` takes more than a message passes all of it to `super().__init__`:
    that is how exceptions pickle.
    """
