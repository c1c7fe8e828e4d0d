"""What each command can be told: frozen pydantic models, one for each command."""

from __future__ import annotations

from hybridq.config.base import (
    AugmentConfig,
    CircuitHeadConfig,
    ComputeConfig,
    Config,
    EncoderConfig,
    HeadConfig,
    PseudonymsConfig,
    RunConfig,
    SslConfig,
)
from hybridq.config.export import ExportConfig
from hybridq.config.jobs import (
    JobsCancelConfig,
    JobsCollectConfig,
    JobsListConfig,
    JobsRecoverConfig,
    JobsStatusConfig,
    SubmissionConfig,
    SubmitConfig,
)
from hybridq.config.parts import EncoderChoice, HeadChoice, SslChoice, head_config, ssl_config
from hybridq.config.report import ReportConfig
from hybridq.config.sources import (
    BackendsCheckConfig,
    BackendsListConfig,
    BackendsSaveConfig,
    BackendsShowConfig,
    DataCheckConfig,
    DataEmbedConfig,
    DataFetchConfig,
    DataListConfig,
)
from hybridq.config.study import (
    AblationStudyConfig,
    BlocksStudyConfig,
    CapacityStudyConfig,
    KernelsStudyConfig,
    NoiseStudyConfig,
    StudyConfig,
)
from hybridq.config.training import DemoConfig, FinetuneConfig, PretrainConfig
from hybridq.config.use import EvaluateConfig, PredictConfig

__all__ = [
    "AblationStudyConfig",
    "AugmentConfig",
    "BackendsCheckConfig",
    "BackendsListConfig",
    "BackendsSaveConfig",
    "BackendsShowConfig",
    "BlocksStudyConfig",
    "CapacityStudyConfig",
    "CircuitHeadConfig",
    "ComputeConfig",
    "Config",
    "DataCheckConfig",
    "DataEmbedConfig",
    "DataFetchConfig",
    "DataListConfig",
    "DemoConfig",
    "EncoderChoice",
    "EncoderConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FinetuneConfig",
    "HeadChoice",
    "HeadConfig",
    "JobsCancelConfig",
    "JobsCollectConfig",
    "JobsListConfig",
    "JobsRecoverConfig",
    "JobsStatusConfig",
    "KernelsStudyConfig",
    "NoiseStudyConfig",
    "PredictConfig",
    "PretrainConfig",
    "PseudonymsConfig",
    "ReportConfig",
    "RunConfig",
    "SslChoice",
    "SslConfig",
    "StudyConfig",
    "SubmissionConfig",
    "SubmitConfig",
    "head_config",
    "ssl_config",
]
