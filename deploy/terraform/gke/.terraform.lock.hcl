# This file is maintained automatically by "tofu init".
# Manual edits may be lost in future updates.

provider "registry.opentofu.org/hashicorp/google" {
  version     = "7.45.0"
  constraints = "7.45.0"
  hashes = [
    "h1:+Lhse5GNbNE9bS/gxI5hmpEEVVkVQuUW74eiSArOlDE=",
    "h1:+MJ2kxzH2pkPgw/2iSd5eU+Hw8VH4ZUUgVQksBVqGPM=",
    "h1:0fzsrgTy+SflcE6KpFcSHKXg/hYdefsSufQ+Ua6px6s=",
    "h1:BuWfHUi0E3gxBRtV+TLJNpQtGmh1eDw7I88bzJvvvko=",
    "h1:GaTPjWJyeoJKKXlNYQUvnjiZYn6HN3TEt4Y2DMjWzxg=",
    "h1:PGQjgXMe86rQh2HetgHQCh4WMNIM3xbZL2VyxdgLrFU=",
    "h1:QPZOPhb730aml66PUZYa7A/BxZSKqRJKXIiGXThciVw=",
    "h1:XIBmZp1fkYGVFXsKqIDjvFreqBGoM39fvP3/iA5YqHo=",
    "h1:XRMDzpC1kDXLJa5fF26MVSHi7o04g1OcmvYjdGkshHo=",
    "h1:cSaUyN5Rh+6KvmwQwD8XfGW+RMvpQIDupXrnIRX1wpo=",
    "h1:kGo1tI+2nGgVzuGgP4a4Y4a01O5mmcSTSY06a/uAfhA=",
    "h1:nENaOoCfc1O+mDXkDmX1mGioc4xI2zHCPz24HPOsz1c=",
    "h1:tAbaMu3ZEAzKAQL7DPWFCcxn2KwzeoscZaZGgxXgYlQ=",
    "h1:uoL03DafzjwGZIWL7Ka41kt29GpqhTyn0WXQeoJYm/o=",
    "h1:vA/shzG7kB59PIwpolUL1b17T3pOd/q+aHHjRg6vt9A=",
    "zh:150da9d8109985d828ff1128cd889393c653f13866f752f474d0287ddf3da29b",
    "zh:30bac13a2912dd8768145fba836acf3684bf495aa50d60c67199b0c152103f06",
    "zh:4ce9d8d9275885a1cb53083170c661c9f531dcc7f0838304759bf814eda4e8fd",
    "zh:4eb1222fed5d42dce92edddb45bdaeb5ee9f6f9b65eadb9f9219df0dc283e5e0",
    "zh:607f0ea1ce3abd87ed2f69402f397d5017283e3bdad74becbb70ff678a3ec871",
    "zh:61ce6843eea35cc375c936e3c47312665519a507c2b3081937a503ea86daebc6",
    "zh:73d14084a4a3a7a2db9e7a45a9085ae892e43adf712968acdbabe6c93f15b9f8",
    "zh:8fa0dc26acb9a92e8776f9adcca83e011804bf3c12b73b63f71178f726896a44",
    "zh:c21fd06306174d9e642b3b49a9f9ebf0d598d7b0ca9f8551c6ec3461a98401d8",
    "zh:c259ee1b4c1b85b8d46d17a1238044d9133cea3c4cf2654b5d43f7de3cc2193e",
    "zh:e3ac6ac545b593e1d07de3337360a85bcfbc390d420ec28fa845de91c5fd678b",
    "zh:e5120316c1e74dc0d20d71b1afb7d46b957717b4d7e02d914bb664f0e1eec893",
    "zh:ea3a93e2ddf72b10eb2c17ebd40be926b5df66496038a86454a14ac5ae446851",
    "zh:f58a42ef3533093f777b0a8dc72b68022f2ed6858a8c92e3ea7fdd41c316d256",
    "zh:ffb9d81977c3f2fc5559a991475084de36eea4f7d10f79543783fb60f8e1e694",
  ]
}

provider "registry.terraform.io/hashicorp/google" {
  version     = "7.45.0"
  constraints = "7.45.0"
  hashes = [
    "h1:5bwzwKa/bvJmUkVMkrF18v9AfFeJ/wjR230oY+4LHrc=",
    "h1:Cvkersnum2YG1skWa7YEveKp8neT4AYy4Z6Z4qNEiBE=",
    "h1:DD/fFbe/pKBcpfR3umQtSV55Nbq2vDiU1v9dq2Jr7wE=",
    "h1:EYsKCMfXi6gtv3fE6XgNpsKrt7qFNrGFwenhlTkrrRM=",
    "h1:FGFsRBzfeyq56BUAcb/WT676NieMX3NRfR4DBj2eEqk=",
    "h1:IDuQFjfryigpcH3LAOja1GwWXoj8+W1LRAIxgzK/CDM=",
    "h1:IrbpvryTMeEYnzOwDclR25AvH4iVwHceCSzSzh3axwQ=",
    "h1:MTfwKEP6aTHUACoEaPpFserLeJ6EzNUyGUAXlNOZUJw=",
    "h1:bavkenCqrvZ9QcFojk1EnbThAYzYlx5iuARbcRrQC0g=",
    "h1:snI9jfT+CtL8dH099NZCe79ciOSTuL74nPB7KaCf9pM=",
    "h1:urzr+HVOJbm0raA6D1vorhOkHAaspjoJTRiWavaiTlc=",
    "zh:0f33485d068e39b1661d4ad789dfac353134b99cb5746e463e7719c053d70c06",
    "zh:162335c448b15125924c3451dc0a411635138c00e36784d9586b9df61bc8a3d7",
    "zh:172c9e4902e9a01b1111bbbb9063a47804ec5f4207b2221df9c398239ff3b350",
    "zh:39acce0806f1aeca106ea529053778681e332f3f895c21c6a6a9fb267bed1058",
    "zh:58dadd7b96b7b706e2995a04f356862be7cfd6b55f6257464c8b10986abf8efa",
    "zh:7230a5e49abed243317b9de0ee7fd365b4a2775b532a5d66006b39c4703978ac",
    "zh:a1b60814ee9a0726c0cd43d36da2cee3db97ec296ee66b111a7e603997de9122",
    "zh:a454c09162ccd342e101704dca4b0eedc2d11939ac48ebd7b7d505a96c1933e6",
    "zh:ad6fdf73e072f510a7d8e2b70f9e1021d08b9076eae146b420f333905708c982",
    "zh:de1de65b909c99430f8bef092718b75dc5c777e98daf474a2215621f35095bb8",
    "zh:f569b65999264a9416862bca5cd2a6177d94ccb0424f3a4ef424428912b9cb3c",
    "zh:fb1b9d1ea7bc79b7409f02aa7c19ba39afa22dbead69e83ae7eb2691ac5c2426",
  ]
}
